package printers

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestColumns(t *testing.T) {
	c := Columns("Name", "+Node", "#Count", "+#More", "+Name", "Age")
	for i, want := range []metav1.TableColumnDefinition{
		{Name: "Name", Type: "string", Format: "name"}, {Name: "Node", Type: "string", Priority: 1}, {Name: "Count", Type: "integer"},
		{Name: "More", Type: "integer", Priority: 1}, {Name: "Name", Type: "string", Priority: 1}, {Name: "Age", Type: "string"},
	} {
		if c[i].Description == "" {
			t.Errorf("%s: no description", c[i].Name)
		}
		if c[i].Description = ""; c[i] != want {
			t.Errorf("got %+v, want %+v", c[i], want)
		}
	}
}

func TestText(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	made := metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-3 * time.Hour))}
	for got, want := range map[string]string{
		Age(made, now): "3h", Age(metav1.ObjectMeta{}, now): Unknown, CreatedAt(made): "2026-01-01T09:00:00Z",
		OrNone(""): None, OrNone("a"): "a", OrUnknown("") + "?": Unknown + "?", OrUnknown("b"): "b",
		Labels(map[string]string{"b": "c", "a": "b"}): "a=b,b=c", Labels(nil) + "!": None + "!",
		Selector(nil) + ".": None + ".", Selector(&metav1.LabelSelector{MatchLabels: map[string]string{"x": "y"}}): "x=y",
		FirstOf(nil, 2) + ",": None + ",", FirstOf([]string{"p", "q"}, 2): "p,q", FirstOf([]string{"p", "q", "r"}, 2): "p,q + 1 more...",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
