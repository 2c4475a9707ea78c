// Package docs does what the documents say, step by step: each block of shell is run as a reader would type it, in a
// fresh copy of the repository and with an empty home, and must print what the document says. The language of a fenced
// block tells what is to be done with it:
//
//	sh               is run, and must succeed
//	sh until-ctrl-c  goes on in a terminal of its own until the end of the document, where Ctrl-C must end it
//	output           is what the block of sh before it prints; … stands for any text, alone on a line for any lines
//	LANGUAGE FILE    is written to that file, which the text above it names
//	console          can't be run here: it needs a cluster, a release or hours
//	yaml             is read by what it is for: healthgate, Envoy or Kubernetes
//
// Blocks in other languages are not looked at.
package docs
