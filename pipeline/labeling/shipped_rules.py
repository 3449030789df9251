"""Labelling functions for the shipped task, written from the codebook's wording.

They are meant to be right when they speak and to keep silent otherwise. The numbers in brackets
are the codebook's rules.
"""

import re
from functools import lru_cache

from pipeline.labeling.rules import Rule, rule
from pipeline.records import Message, render

INFORMATION, INFLUENCE, JOB_LEAD = "information", "influence", "job_lead"


@lru_cache(maxsize=4)  # every rule reads the same message, one after the other
def _plain(subject: str, text: str) -> str:
    return " ".join(render(subject, text).lower().replace("’", "'").split())


class _Words:
    """Patterns for whole words in lower-case text with single spaces.

    Searched one by one: Python finds a literal beginning much faster than a choice of many.
    """

    def __init__(self, *patterns: str) -> None:
        self._patterns = [re.compile(rf"{p}\b") for p in patterns]

    def are_in(self, message: Message) -> bool:
        """Whether any of the patterns is found."""
        text = _plain(message.subject, message.text)
        return any(_at_word(p, text) for p in self._patterns)


def _at_word(pattern: re.Pattern[str], text: str) -> bool:
    return any(
        match.start() == 0 or not text[match.start() - 1].isalnum()
        for match in pattern.finditer(text)
    )


def _asks_for(name: str, ask: str, *patterns: str) -> Rule:
    words = _Words(*patterns)
    return Rule(name, lambda message: ask if words.are_in(message) else None)


# --- information: what they know -----------------------------------------------------------------

what_is_it_like = _asks_for(
    "what_is_it_like",
    INFORMATION,
    "what(?:'s| is| was|'s it| is it| was it)? (?:it )?(?:really )?like (?:to|at|in|on|as|working|being|going|living)",
)
how_did_you = _asks_for(
    "how_did_you",
    INFORMATION,
    "how (?:did|do|have|would) you (?:\\w+ )?(?:get|got|go|move|make|land|decide|find|choose|choosing|handle|deal|approach|manage|start|prepare|switch|break|end up|know|become)",
    "how you (?:got|made|moved|landed|decided|found|chose|handled?|approach|manage[d]?|started|prepared|switched|broke|ended up|went|became)",
)
pick_your_brain = _asks_for(
    "pick_your_brain",
    INFORMATION,
    "pick your brains?",
    "informational (?:interview|chat|call|conversation)",
    "ask you (?:a (?:few|couple of) |some )?questions?",
    "hear (?:more )?about your (?:experience|path|journey|career|route|time|work|role|team)",
    "learn (?:more )?(?:about|from) your (?:experience|path|journey|career|route|time|work|role)",
)
advice_wanted = _asks_for(
    "advice_wanted",
    INFORMATION,
    "(?:any|some|your|little|bit of) (?:advice|guidance|tips|pointers|insight|insights) (?:on|about|for|would|regarding)",
    "(?:what|how) would you (?:do|advise|recommend|suggest|say)",
    "(?:do|would) you (?:recommend|suggest|advise)",
    "is it worth",
    "was it worth",
    "would you do it again",
)
feedback_on_mine = _asks_for(
    "feedback_on_mine",
    INFORMATION,
    "(?:look over|read over|look at|glance at|feedback on|thoughts on|review) my (?:cv|resume|résumé|cover letter|portfolio|draft|proposal|statement|application|essay|pitch)",
)
which_is_better = _asks_for(
    "which_is_better",
    INFORMATION,
    "(?:where|which) (?:would|should|do) (?:you|i|we|one) (?:start|begin|recommend|choose|pick|look)",
    "what (?:should|would|do) (?:i|you) (?:look for|expect|wish|need to know|know before)",
    "what does your (?:team|company|lab|group|department) look for",
)


# --- influence: their standing or network --------------------------------------------------------

introduction = _asks_for(
    "introduction",
    INFLUENCE,
    "(?:introduce|intro) (?:me|us|her|him|them|my \\w+)",
    "(?:an |a quick |warm )?(?:introduction|intro) to",
    "make (?:an |the )?(?:intro|introduction)",
    "(?:put|get) (?:me|us|her|him) in (?:touch|contact) with",
    "connect (?:me|us|her|him) (?:with|to)",
    "pass (?:my|our|her|his) (?:name|details|number|email) (?:on|along|to)",
)
referral = _asks_for(
    "referral",
    INFLUENCE,
    "refer me",
    "(?:be )?willing to refer",
    "employee referral",
    "a referral",
    "referral (?:for|link|code)",
    "(?:pass|forward|hand|send|walk) (?:on )?my (?:cv|resume|résumé|application|name|portfolio) (?:on |along |over )?(?:to|on)",
)
recommendation = _asks_for(
    "recommendation",
    INFLUENCE,
    "(?:letter|letters) of (?:recommendation|reference|support)",
    "(?:recommendation|reference|support) letters?",
    "(?:be|act as|serve as|down as|use you as|list you as|name you as) (?:a |my |one of my )?(?:reference|referee|recommender)",
    "write (?:me )?a (?:recommendation|reference)",
    "(?:endorse|recommend|nominate) me",
    "second (?:me|my)",
)
good_word = _asks_for(
    "good_word",
    INFLUENCE,
    "(?:put in|put|say|drop) a (?:good |kind |quick )?word",
    "vouch for",
    "sponsor (?:me|my)",
    "pull (?:a few |some )?strings",
    "back my",
)
mentor = _asks_for(
    "mentor",
    INFLUENCE,
    "(?:be|become) my mentor",
    "mentor me",
    "mentorship",
    "(?:would|could) you mentor",
    "take me under your wing",
)
know_someone_to_talk_to = _asks_for(
    "know_someone_to_talk_to",
    INFLUENCE,
    "know (?:of )?(?:anyone|anybody|someone|somebody) (?:there |else |at \\w+ |in \\w+ )?(?:i|we) (?:could|can|might|should) (?:talk|speak|write|reach|contact)",
    "who (?:else )?(?:should|could|can) i (?:talk|speak) (?:to|with)",
)
relationship = _asks_for(
    "relationship",
    INFLUENCE,
    "(?:love|like|honou?red|glad|happy|great) to (?:have you in|add you to|join) (?:my|your) network",
    "(?:expand|grow|build)(?:ing)? my (?:professional )?network",
    "let's (?:connect|stay in touch|keep in touch)",
    "like to (?:stay|keep) in touch",
)


# --- job_lead: a path to paid work ---------------------------------------------------------------

hiring = _asks_for(
    "hiring",
    JOB_LEAD,
    "(?:are|is|if) (?:you|you're|your \\w+|the \\w+|they|anyone|anybody) (?:are |is |currently |still |guys )*(?:hiring|recruiting|taking (?:on|people|anyone)|looking for (?:people|staff|hands|help|someone))",
    "(?:know|heard|hear) (?:of )?(?:anyone|anybody|any place|anywhere|someone|somebody|a place|any shops?|any firms?|any companies) (?:who(?:'s| is)? |that(?:'s| is)? |who might be |is )?(?:hiring|looking|needs?|taking)",
)
openings = _asks_for(
    "openings",
    JOB_LEAD,
    "any (?:\\w+ )?(?:openings?|vacanc(?:y|ies)|positions?|shifts?|jobs?|work|roles?|internships?|placements?|spots?|gigs?) (?:going|open|available|coming|at|on|with|in|for|this|you)",
    "(?:is|are) there (?:any |a |an |still )?(?:\\w+ )?(?:openings?|vacanc(?:y|ies)|positions?|internships?|placements?|place for|spots?|room for|shifts?)",
)
keep_in_mind = _asks_for(
    "keep_in_mind",
    JOB_LEAD,
    "keep (?:me|him|her|us|my cv|my resume|my name) in mind",
    "bear me in mind",
    "think of me (?:if|when|next)",
    "let me know if (?:anything|something|a \\w+) (?:comes|opens|turns|becomes)",
)
application = _asks_for(
    "application",
    JOB_LEAD,
    "(?:i am|i'm|i would like to|i'd like to|i wish to|writing to|want to|wanted to) appl(?:y|ying) (?:for|to)",
    "(?:consider|considered) (?:me|for|my application)",
    "(?:status|update|news|word) (?:of|on|about|regarding) my application",
    "my application for",
    "(?:cv|resume|résumé) (?:is )?(?:attached|enclosed|below)",
    "(?:attached|enclosed|attaching) (?:is |you'll find |please find )?my (?:cv|resume|résumé)",
)
work_with_you = _asks_for(
    "work_with_you",
    JOB_LEAD,
    "(?:love|like|keen|hoping|want|eager) to (?:come )?(?:work|intern|train|apprentice) (?:with|for|under|at) (?:you|your)",
    "join your (?:team|lab|group|crew|studio|practice|firm|company)",
    "(?:need|needs|looking for|could use|want) (?:an? )?(?:extra |spare |another )?(?:pair of hands|hand|freelancer|contractor|intern|apprentice|trainee|assistant)",
)


# --- none of them --------------------------------------------------------------------------------

_OFFERS = _Words(
    "(?:i|we) (?:came across|found) your profile",
    "would you be open to (?:a|an|hearing|exploring)",
    "(?:we are|we're) (?:currently )?(?:hiring|recruiting) (?:for )?(?:a|an|two|three|several)",
    "exciting opportunity",
    "please circulate",
    "my client is",
    "pleased to offer you",
)
_SELLS = _Words(
    "(?:book|schedule|get|see|offer you) a (?:free |quick |short )?demo",
    "our (?:platform|product|solution|software|customers)",
    "free trial",
    "unsubscribe",
    "(?:boost|increase|grow|double) your",
    "special offer",
    "limited time",
)
_THANKS = _Words("thank you", "thanks", "cheers", "grateful")
_ASKING = _Words(
    "please", "could", "would", "can you", "any", "wondering", "hope", "hoping", "love to",
    "like to", "let me know", "if you", "need", "looking", "interested", "happy to", "keen",
)  # fmt: skip
_SHARED_WORK = _Words(
    "attached (?:is|are) the",
    "(?:the|our|today's|tomorrow's) (?:meeting|call|stand-?up|sync) (?:is|has|will|was|moved)",
    "(?:meeting|call) (?:has been |is )?(?:moved|rescheduled|cancelled|postponed)",
    "(?:invoice|purchase order|po|ticket) (?:number|no|#)",
    "please (?:sign|approve|confirm|fill|submit|complete|return|update)",
    "by (?:eod|cob|end of day|close of business)",
    "fyi",
)


@rule
def offers_a_job(message: Message) -> tuple[str, ...] | None:
    """A recruiter, or anybody else, who offers work to the reader (18)."""
    return () if _OFFERS.are_in(message) else None


@rule
def sells_something(message: Message) -> tuple[str, ...] | None:
    """A pitch for a product, a service or a partnership."""
    return () if _SELLS.are_in(message) else None


@rule
def only_thanks(message: Message) -> tuple[str, ...] | None:
    """Thanks, and nothing that sounds like asking (12)."""
    if "?" in message.text or len(message.text) > 400 or _ASKING.are_in(message):
        return None
    return () if _THANKS.are_in(message) else None


@rule
def shared_work(message: Message) -> tuple[str, ...] | None:
    """Routine mail about a task that both already share (13)."""
    return () if _SHARED_WORK.are_in(message) else None
