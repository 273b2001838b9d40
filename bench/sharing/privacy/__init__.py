"""What would tell who measured and where: found on this machine, replaced by markers, and searched for once more."""

from bench.sharing.privacy.leaks import Leak, leaks
from bench.sharing.privacy.own_names import OwnName, names_of_this_machine, ordinary_words, words_in
from bench.sharing.privacy.removal import MARKER, Remover
