"""The server's own pages, for operators, auditors and administrators who logged in.

Pages show and do what the API shows and does, by the same services and under the same rules: each
view declares who may use it (:func:`api.server.auth.may_use`), and each service leaves its entry in
the access log.  A page never knows more than its reader may: aggregates, states, public keys and
ids, no encoding and no pseudonym.

- :mod:`site` puts the pages into the server's application;
- :mod:`pages_of_log`, :mod:`pages_of_tasks` the auditor's desk, :mod:`log_words` what it says,
  :mod:`log_query` what is asked of it;
- :mod:`pages_of_session` logging in, enrolling, logging out; :mod:`pages_of_provider` the same at
  an OpenID provider;
- :mod:`pages_of_rounds`, :mod:`pages_of_terms` with :mod:`visibility` (who sees links with whom),
  :mod:`pages_of_exclusions` (what takes away), :mod:`pages_of_projects`,
  :mod:`pages_of_offices` for operators; :mod:`pages_of_people` for administrators.
"""
