// Package subsets brings the subsets of Endpoints into their canonical form, by which two
// lists that say the same are equal. Pure functions.
package subsets
