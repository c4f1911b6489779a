package expectations

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWritesWaitForTheCache(t *testing.T) {
	at := func(version string) metav1.Object { return &metav1.ObjectMeta{UID: "a", ResourceVersion: version} }
	var w Writes
	if !w.Seen(at("1")) {
		t.Error("nothing was written, and yet it waits")
	}
	w.Wrote(at("10"))
	if w.Seen(at("9")) {
		t.Error("9 is taken for as new as 10")
	}
	if !w.Seen(at("10")) || !w.Seen(at("9")) {
		t.Error("once seen, it still waits")
	}
	w.Wrote(at("12"))
	w.Forget("a")
	if !w.Seen(at("11")) {
		t.Error("it waits for what was forgotten")
	}
}
