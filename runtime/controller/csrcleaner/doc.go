// Package csrcleaner deletes CertificateSigningRequests some time after they were
// decided, or were not, and PodCertificateRequests, whose answers their kubelets have
// taken by then.
package csrcleaner
