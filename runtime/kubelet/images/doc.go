// Package images makes sure that the images of containers are on this node: the pull
// policy, the credentials of image pull secrets, the back-off of pulls that fail, and
// which images pods use. It may import runtime/kubelet/container.
package images
