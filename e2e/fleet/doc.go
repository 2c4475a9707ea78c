// Package fleet measures how one push of a runtime discovery server takes a zone of many Envoys out of rotation.
package fleet
