"""A candidate held against its base in one session on one machine: may it take its place?"""
