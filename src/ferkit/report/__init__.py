"""Everything that is drawn or laid out for people: montages, sheets, charts, pages."""
