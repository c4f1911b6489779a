// Package services gives Services their cluster IPs and node ports. What is given
// is one key in etcd each, made only if it does not exist, so that masters never
// give the same twice and never wait for one another. It imports nothing of ours.
package services
