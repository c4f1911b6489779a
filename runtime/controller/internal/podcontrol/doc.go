// Package podcontrol is what controllers of pods share: they are told of the pods
// that they own, claim those that their selectors mean, and make and delete pods
// without doing either twice.
package podcontrol
