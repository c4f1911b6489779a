// Package master runs the four processes of a master on the loopback address,
// with certificates of their own and the real binary, as load is to be measured:
// TLS, RBAC and the disk are there, servers and their network are not. It may
// import bootstrap/pki, runtime/client and runtime/config.
package master
