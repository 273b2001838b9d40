"""Pages and terminal tables: functions from records, or from what `analysis` made of them, to documents."""
