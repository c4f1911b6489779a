// Package controllerref keeps the controller reference between an owner and the
// objects that its selector means: it adopts orphans that match and releases what no
// longer does.
package controllerref
