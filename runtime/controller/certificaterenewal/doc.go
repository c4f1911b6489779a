// Package certificaterenewal signs the CertificateSigningRequests by which nodes renew
// the certificates that they have. No policy decides, and nobody is asked: whoever
// proves to have a certificate gets the same one again (runtime/renewal).
package certificaterenewal
