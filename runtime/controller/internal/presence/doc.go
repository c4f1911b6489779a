// Package presence tells when the first object of a kind is seen: a controller of a kind
// that few clusters use starts its informers and caches then, and costs nothing before. The
// garbage collector, which watches every kind that is served, tells it.
//
// It imports nothing of ours.
package presence
