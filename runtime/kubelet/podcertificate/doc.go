// Package podcertificate asks signers for certificates of pods, and keeps them with
// their keys until they have to be renewed. It imports nothing of ours.
package podcertificate
