"""Understands clauses whose words the library lacks, by what they mean as a whole.

`pairs.py` cuts a clause to its subject and one object, an `Understanding` (`meant.py`) says which relation that states,
and `choice.py` chooses among the objects and puts the result beside what the grammar found.
"""
