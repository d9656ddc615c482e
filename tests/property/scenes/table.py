"""Every machine of the core, in the roles that it can have. A property that holds for one holds for all of them."""

from tests.property.scenes import addressed, secured

KINDS = {kind.name: kind for kind in (*addressed.KINDS, *secured.KINDS)}
