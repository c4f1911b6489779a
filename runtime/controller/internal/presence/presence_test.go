package presence

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestTheFirstObjectIsToldToThoseWhoAwaitIt(t *testing.T) {
	var k Kinds
	hpas, pods := schema.GroupResource{Group: "autoscaling", Resource: "horizontalpodautoscalers"}, schema.GroupResource{Resource: "pods"}
	if k.Teller(hpas) != nil {
		t.Error("somebody awaits what nobody asked for")
	}
	one, two, other := k.Await(hpas), k.Await(hpas), k.Await(pods)
	tell := k.Teller(hpas)
	if isClosed(one) || isClosed(two) || isClosed(other) {
		t.Fatal("told before anything is seen")
	}
	tell()
	k.Teller(hpas)() // of another watch
	if !isClosed(one) || !isClosed(two) || !isClosed(k.Await(hpas)) {
		t.Error("not all who await it are told")
	}
	if isClosed(other) {
		t.Error("told of another kind")
	}
	if k.Teller(schema.GroupResource{Resource: "horizontalpodautoscalers"}) != nil {
		t.Error("a resource of another group is the same")
	}
	var none *Kinds
	if none.Teller(hpas) != nil {
		t.Error("nobody can await what nobody tells")
	}
}
