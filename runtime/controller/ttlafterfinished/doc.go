// Package ttlafterfinished deletes Jobs some time after their end, if they say so.
package ttlafterfinished
