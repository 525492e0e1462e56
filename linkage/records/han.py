"""Han characters folded to one form each: simplified, standard, from any code point it is found at.

The folding is character by character, so that a character of a name never depends on the ones
beside it. In this order: code points private to GBK and GB18030-2000 become the standard ones;
radicals, old print forms, Japanese forms and variants become the standard character; OpenCC's
traditional-to-simplified table does the rest.

Sources: GB 18030-2022 (code points), the first list of variant characters of 1955 without those
that the Table of General Standard Chinese Characters of 2013 made standard again.
"""

import functools
import hashlib
from typing import Any

from linkage.errors import RecordsError

UNKNOWN_CHARACTER = "\u3013"
"""〓, the printers' sign for a missing character: for one private to a computer, or lost."""

OPENCC_SHA256 = "67a55e00a6df560a199c97afe25a6f7f4435ad6d6113e1e4e2756a827a58aa30"
"""Hash of what OpenCC makes of every Han character; part of the cleaning version."""

# Not simplified by the table of 2013 when read as in names.
_KEPT = "乾藉瞭著"

_VARIANTS = (
    # Old print forms beside new ones.
    "淸清靑青値值戸户昻昂緖绪歩步毎每尙尚鄕乡曽曾増增巻卷郞郎顚颠飮饮吿告塡填汚污冩写呑吞別别"
    "郷乡黒黑徳德恵惠寛宽険险髪发氷冰彊强往往徃往渕渊暁晓曁暨朶朵梹槟歛敛漑溉濳潜羮羹荳豆莕荇"
    # Forms of Japan, as some input methods give them.
    "呉吴沢泽辺边邉边浜滨剣剑広广桜樱栄荣楽乐権权斎斋斉齐関关浄净渉涉瀬濑滝泷豊丰隣邻鉄铁鶏鸡"
    "黙默壷壶奨奖巌岩幣币拝拜掲揭揺摇択择抜拔帯带庁厅弐二弾弹渓溪済济涙泪検检様样歴历穂穗稲稻"
    "竜龙県县発发絵绘経经継继続续総总縄绳聴听荘庄薫薰薬药蔵藏蛍萤覇霸覚觉観观訳译読读譲让転转軽轻"
    "逓递遅迟釈释鋳铸閇闭陥陷雑杂霊灵頬颊頼赖顕显駆驱騒骚験验髄髓鴬莺齢龄亜亚勲勋姉姊嬢娘囲围"
    # Variants of the list of 1955 that occur in names, and common hand-made forms.
    "髙高栢柏菓果堦阶峩峨崐昆崘仑竝并淼淼珎珍翆翠蘓苏闗关嶋岛秌秋穐秋龝秋煖暖瑠琉璢琉瑯琅稺稚"
    "穉稚竒奇緜绵臯皋皐皋苐第荅答蔴麻蕚萼虵蛇覩睹艶艳銕铁隄堤飜翻驩欢麤粗寃冤寳宝珤宝尠鲜峝峒嵓岩"
    "悳德惪德昬昏朞期柟楠枏楠桺柳栁柳棊棋碁棋椉乘楳梅槑梅毘毗燄焰燿耀爕燮猨猿玅妙珮佩甦苏冄冉厰厂"
    "叅参囬回囘回囯国圀国圎圆坵丘埜野壄野塲场夀寿夘卯夛多娬妩媿愧崋华巵卮庻庶廸迪弌一弍二弎三恊协"
    "恠怪悊哲攷考敍叙斈学旾春晣晰曡叠朙明楙茂槀槁蘂蕊蕋蕊橤蕊欎郁湼涅濶阔炤照爗烨琹琴瓈璃瓌瑰甎砖"
    "甞尝畧略疉叠盌碗眘慎睂眉磘窑窻窗簷檐粧妆羗羌聦聪聡聪舩船芲花茘荔萅春蕐华蘤花襍杂讃赞賛赞躭耽"
    "迯逃逈迥錬炼陜陕隂阴雝雍靭韧韮韭馿驴騐验鬬斗鬦斗鵞鹅鼔鼓兠兜冣最剏创刱创勅敕叡睿壡睿宻密寍宁"
    "尅克彠彟扵于旹时暎映曅晔枩松桒桑樷丛湻淳滛淫熈熙煕熙犂犁琁璇眀明葢盖裵裴喦岩岀出"
    "○〇◯〇"
)

# Kangxi radicals (U+2F00..) are folded by NFKC; of the supplement (U+2E80..) only two are.
_RADICALS = (
    "⺟母⻄西⻅见⻆角⻉贝⻋车⻓长⻔门⻘青⻙韦⻚页⻛风⻜飞⻝食⻢马⻣骨⻤鬼⻥鱼⻦鸟⻨麦⻩黄⻬齐"
    "⻮齿⻰龙⻳龟⺠民⺩王⺼月⻁虎⻑长⻒长⻟食⻲龟"
)

# The fourteen code points that GB 18030-2022 moved out of the private use area.
_MOVED_IN_2022 = {
    0xE816: 0x20087,
    0xE817: 0x20089,
    0xE818: 0x200CC,
    0xE81E: 0x9FB4,
    0xE826: 0x9FB5,
    0xE82B: 0x9FB6,
    0xE82C: 0x9FB7,
    0xE831: 0x215D7,
    0xE832: 0x9FB8,
    0xE83B: 0x2298F,
    0xE843: 0x9FB9,
    0xE854: 0x9FBA,
    0xE855: 0x241FE,
    0xE864: 0x9FBB,
}


def is_han(character: str) -> bool:
    """Whether a character is a Han ideograph (Unicode 17, all extensions) or 〇."""
    code = ord(character)
    return (
        0x4E00 <= code <= 0x9FFF
        or 0x3400 <= code <= 0x4DBF
        or 0x20000 <= code <= 0x3FFFD
        or code == 0x3007
    )


def is_private(character: str) -> bool:
    """Whether a character is of a private use area."""
    code = ord(character)
    return 0xE000 <= code <= 0xF8FF or code >= 0xF0000


def _gbk_private() -> dict[int, int]:
    # GBK had 0xFE50..0xFEA0 at U+E815..U+E864; GB18030-2000 moved all but fourteen.
    trails = [*range(0x50, 0x7F), *range(0x80, 0xA1)]
    table = {}
    for code, trail in enumerate(trails, start=0xE815):
        moved = ord(bytes([0xFE, trail]).decode("gb18030"))
        table[code] = _MOVED_IN_2022.get(code, moved)
    return table


def _pairs(text: str) -> dict[int, str]:
    return {ord(text[i]): text[i + 1] for i in range(0, len(text), 2)}


def verify_folding() -> None:
    """Check that this machine folds characters exactly as every other office does.

    Raises:
        RecordsError: the installed OpenCC table is another one.
    """
    if _opencc_sha256() != OPENCC_SHA256:
        raise RecordsError(
            "The installed table of traditional characters (opencc) is not the one that these "
            "cleaning rules were made with, so names would not match those of other offices. "
            "Install the versions that requirements/runtime.txt pins."
        )


@functools.cache
def _opencc_sha256() -> str:
    from opencc import OpenCC

    blocks = (range(0x3400, 0xA000), range(0x20000, 0x2A6E0))
    characters = "\n".join(chr(code) for block in blocks for code in block)
    return hashlib.sha256(OpenCC("t2s").convert(characters).encode()).hexdigest()


class _Folding(dict[int, str]):
    """Code point -> folded character, filled as characters occur; for ``str.translate``."""

    def __init__(self) -> None:
        super().__init__((ord(kept), kept) for kept in _KEPT)
        self._private = _gbk_private()
        self._variants = _pairs(_VARIANTS) | _pairs(_RADICALS)
        self._opencc: Any = None

    def __missing__(self, code: int) -> str:
        if self._opencc is None:
            from opencc import OpenCC

            self._opencc = OpenCC("t2s")
        standard = self._private.get(code, code)
        character = chr(standard)
        if is_private(character) or character == "\ufffd":
            folded = UNKNOWN_CHARACTER
        else:
            folded = self._variants.get(standard, character)
            if is_han(folded) and folded not in _KEPT:
                folded = str(self._opencc.convert(folded))
        self[code] = folded
        return folded


_FOLDING = _Folding()


def fold_han(text: str) -> str:
    """The text with each Han character in its one form; all others as they are.

    Characters of unknown meaning (private use, U+FFFD) become :data:`UNKNOWN_CHARACTER`.
    """
    return text.translate(_FOLDING)
