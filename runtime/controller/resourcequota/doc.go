// Package resourcequota keeps the status of ResourceQuotas: their limits as the spec
// has them, and what the objects of their namespace use of each. The admission plugin
// adds what it lets in; this controller takes away what is gone, and adds everything
// up anew every few minutes. Kinds that are only counted are watched, as metadata,
// while some quota counts them.
package resourcequota
