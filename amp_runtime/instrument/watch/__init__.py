"""Where the sanitizer listens: each module puts itself in front of one part of torch and tells what it hears."""
