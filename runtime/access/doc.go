// Package access guards the HTTPS servers of processes other than the API server. Who
// asks is known by a certificate of the cluster or by a bearer token, which the API
// server reviews (TokenReview); what they may ask the API server says as well
// (SubjectAccessReview). Answers are kept as long as upstream's kubelet keeps them.
//
// It imports nothing of ours.
package access
