"""What papers share: what a method is, what some can do besides, and the families."""

from ebmrepro.methods.base.method import Labelled as Labelled
from ebmrepro.methods.base.method import Method as Method
from ebmrepro.methods.base.method import PartlyLabelled as PartlyLabelled
from ebmrepro.methods.base.method import Turn as Turn
