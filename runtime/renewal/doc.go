// Package renewal replaces the leaf certificates of a server before they end. A
// certificate begets only its equal: the same subject, names and usages, with a new key.
// On a master the authorities' keys are at hand and sign; a worker asks the signer
// [config.RenewalSigner], and proves that it has the certificate which it asks for
// again. Files use those below them: renewer, request, local, proof, schedule, sign,
// file. It may import runtime/config and runtime/keypair.
package renewal
