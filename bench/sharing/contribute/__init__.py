"""`bench contribute`: a tour of a volunteer's card, and the bundle that it leaves."""
