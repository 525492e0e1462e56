"""The operator's and auditor's pages."""
