"""The ground: files, doors, journals and processes, as plain dicts and bytes. Standard library only.

Knows how a record becomes durable and exclusive. Refuses to know what any record means: `outlast.facts.codec`
makes values of them.
"""
