// Package printers holds what the columns of several kinds share: how kubectl get
// prints ages, selectors, images, and values that are missing. It imports nothing
// of ours.
package printers
