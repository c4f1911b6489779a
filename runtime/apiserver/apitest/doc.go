// Package apitest starts a real etcd and a real API server on free loopback ports
// for tests, with certificates of their own, and makes clients of any identity.
// Components test against it instead of against fakes:
//
//	c := apitest.Start(t)
//	admin := c.Admin()
//	kubelet := c.Client("system:node:w1", "system:nodes")
//
// It may import runtime/apiserver, runtime/etcd, runtime/client and runtime/config.
package apitest
