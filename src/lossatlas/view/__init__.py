"""Drawing: everything here reads scenes and archives, and none of it imports torch."""
