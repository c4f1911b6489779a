// Package csr is what CertificateSigningRequests ask for, and what Kubernetes' own
// signers hold them to. The controllers that approve, sign and clean share it. It may
// import runtime/config.
package csr
