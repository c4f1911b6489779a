// Package client is how every process, and bootstrap, reaches the API: a REST
// configuration whose dialer picks a healthy master (load balancing is
// client-side, so no balancer process stands between), clientset, informers and
// leader election. It may import runtime/config and nothing else of ours.
package client
