// Package controllertest makes what controllers are made of, around a model of the
// API: client-go's fake clientset, informers that a test fills, and a clock that it
// moves. Only tests import it.
package controllertest
