"""What is known of devices and links, measured or estimated."""
