// Command chaos breaks a cluster on the lab's servers, one fault after another and
// always the same ones for a seed, while clients use it in every way that a promise
// is made about, and has package judge decide whether they were kept. make chaos
// runs it; the history that it writes is judged again by -judge.
//
// It may import e2e, lab and runtime/config, and reaches the cluster as a user does.
package main
