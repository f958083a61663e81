"""How plausible a decoded text is: the characters of real Chinese, Japanese, Korean, Latin text.

A wrong multi-byte encoding decodes without an error, but into rare characters. The frequent ones
(85 % of running simplified text, 73 % of traditional, counted over 0.9 million characters of
documentation and encyclopedia articles) tell the right one from few characters.
"""

from __future__ import annotations

import re
from functools import cache

_FREQUENT = frozenset(
    "的用在数时中以为一行是和个可据使如不表有查会于下了集分计对置大定过本法能量要统存到这间果"
    "务方执信则或件式通上后文并值加息出该进成例配理入生作年群部同从需持开询语前引密将区内指多"
    "其动性参主来规点所字国发当最导被系建支制化认示列关地他请版设命句新自合名提包人节之类变与"
    "小实令常控算级面此服问相默符启容斯及机因写型更种组程选学现源应特度每意索重而划始处接等些"
    "取任公情否由子器也资看求尔耗项位注优备模次步户你者解第体两议描报序都全目致况结别格高无操"
    "日排图具题态约保收们线外工调但考运功述利复比库里效单期移正段事检它限增钥德升整警基立标物"
    "条署除储代明读推然只经证监端力供录状平得换管括改错场回即构直称域业义迁志空消亚含家没流达"
    "已确样率份总根起非员克连英速长锁拉教某网号原政视输创先路缓见且较载还决块各权细美响超完误"
    "介兰影维口手试修键何范市案束西失绍围二获详向产至仅世布观扫三展适显访灾马安择码交受联络传"
    "记欧必快延说属层队卡元尼打校就诺恢续景低民断未少"
    "國為於後時學會與軍發南月個來區東北對戰這經並動開海爾亞內長統共現過機馬進業府產稱當州羅治"
    "聯將間體城山華電種帝十王島朝權史總義界數古黨天球兩議設員語達道約領關灣心著院從金紀水科省"
    "士族則實河星車阿臺隊運縣港組四台認傳選蘭計爭巴場們屬濟務林結土江漢萬首廣韓說太形無賽維反"
    "書社導變洲線造術資決司還歐蒙局皇舉際宗蘇陸帶類近條居張武歷米清五派普擊視別許該據兵納商香"
    "處境氣官規印品鐵團點邦論曾較很攻石早強活又亦夫周門放沒光郵奧殺風京圖質言報易應劉票威構初"
    "研級委繼獲福獨隨色號再仍宣神響參網"
)
_HANGUL = frozenset(
    "이다는을의에가고하지은를도한로서사기어리인자해시대부일정나보과스수있으아라그제전상들여장성조주"
    "니원구비동면오공우국계유경위만신진게용관적연문생선소중요개안세무방습네합했것된되할까지와더"
)
_CJK_MARKS = frozenset(
    "、。，；：？！（）「」『』《》〈〉【】“”‘’—…·\u3000～％＋－／１２３４５６７８９０"
)
_LATIN_MARKS = frozenset("“”‘’–—•…€£©®°«»¿¡ºª§·\xa0±²³µ½¼×")
_JAPANESE = ("cp932", "euc_jp", "iso2022_jp", "iso2022_jp_2")
_SINGLE_BYTE = ("cp1252",)
_PRIOR = {"gb18030": 0.08, "big5hkscs": 0.04}  # a draw goes to the encoding met more often
_LATIN_WORD = re.compile("[A-Za-z]*[À-ÖØ-öø-ÿŠšŽžŒœŸ][A-Za-zÀ-ÖØ-öø-ÿŠšŽžŒœŸ]*")


def plausibility(text: str, encoding: str) -> float:
    """Mean over the characters beyond ASCII: 1 is running text, below .3 is likely wrong.

    A text without such characters scores 0.5.
    """
    if encoding in _SINGLE_BYTE:
        return _latin_plausibility(text)
    wide = [c for c in text if c > "\x7f"]
    if not wide:
        return 0.5 if text.replace("\0", "") == text else -1.0
    points = sum(_points(character, encoding) for character in wide)
    controls = sum(1 for c in text if c < " " and c not in "\t\n\r\f\x1b")
    return (points - 2 * controls) / len(wide) + _PRIOR.get(encoding, 0.0)


def _points(character: str, encoding: str) -> float:
    if character in _FREQUENT or character in _CJK_MARKS:
        return 1.0
    code = ord(character)
    if 0x4E00 <= code <= 0x9FFF:
        if encoding == "cp949":
            return -0.5  # hanja: almost gone from Korean texts
        return 0.4 if character in _common() else -0.3
    if 0x3040 <= code <= 0x30FF:
        return 1.0 if encoding in _JAPANESE or encoding.startswith("utf") else -1.0
    if 0xAC00 <= code <= 0xD7A3:
        if encoding == "cp949" or encoding.startswith("utf"):
            return 0.9 if character in _HANGUL else 0.1
        return -0.5
    if 0xE000 <= code <= 0xF8FF or 0x80 <= code < 0xA0 or code == 0xFFFD or code > 0xF0000:
        return -2.0
    if encoding.startswith("utf-16"):
        return 0.6 if 0xC0 <= code < 0x100 or 0x370 <= code < 0x530 else -0.2
    return -0.5 if 0xFF61 <= code <= 0xFF9F else -0.2


@cache
def _common() -> frozenset[str]:
    """The first levels of GB 2312 (3,755 characters by use) and Big5 (5,401)."""
    simplified = (bytes((a, b)) for a in range(0xB0, 0xD8) for b in range(0xA1, 0xFF))
    trails = (*range(0x40, 0x7F), *range(0xA1, 0xFF))
    traditional = (bytes((a, b)) for a in range(0xA4, 0xC7) for b in trails)
    characters = [pair.decode("gb2312", "ignore") for pair in simplified]
    characters += [pair.decode("big5", "ignore") for pair in traditional]
    return frozenset("".join(characters))


def _latin_plausibility(text: str) -> float:
    """Western text: accented letters stand alone, and lower-case, inside words of ASCII letters."""
    wide = sum(1 for c in text if c > "\x7f")
    if not wide:
        return 0.5
    points = sum(0.6 for c in text if c in _LATIN_MARKS)
    for word in _LATIN_WORD.findall(text):
        accents = [c for c in word if c > "\x7f"]
        natural = len(accents) <= max(1, len(word) // 3) and len(word) > 1
        lower = all(c.islower() for c in accents[1:]) and (
            accents[0].islower() or word[0] == accents[0] or word.isupper()
        )
        points += len(accents) * (0.9 if natural and lower else -0.5)
    return points / wide - sum(1 for c in text if "\x80" <= c < "\xa0" or c == "\ufffd") / wide
