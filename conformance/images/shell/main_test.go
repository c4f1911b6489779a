package main

import "testing"

func TestForeign(t *testing.T) {
	for v, want := range map[string]bool{
		"PATH=/bin": false, "_=x": false, "a1=": false, "Z=a-b.c": false, "": false,
		"data-1=v": true, "a.b=v": true, "1a=v": true, "é=v": true,
	} {
		if got := foreign([]string{"HOME=/", v}); got != want {
			t.Errorf("%q: %v", v, got)
		}
	}
}
