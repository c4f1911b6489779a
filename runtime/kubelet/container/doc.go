// Package container holds what the rooms of the kubelet say to each other and to a
// container runtime about containers, images and volumes: plain values.
// It imports nothing of ours.
package container

import "errors"

// ErrUnavailable is wrapped by errors that only say that the runtime does not
// answer now: it is being restarted, and nothing is wrong with the pod.
var ErrUnavailable = errors.New("the container runtime does not answer")

// ErrInvalidImageName is wrapped by the error about a name that no image can have.
var ErrInvalidImageName = errors.New("no name for an image")
