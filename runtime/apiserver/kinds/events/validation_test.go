package events

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const sampleEvent = `
apiVersion: events.k8s.io/v1
kind: Event
metadata: {name: e, namespace: a}
eventTime: "2026-01-01T00:00:00.000000Z"
reportingController: r
reportingInstance: i
action: act
reason: why
note: text
type: Normal
regarding: {kind: Pod, name: p, namespace: a}
related: {kind: Node, name: n}
series: {count: 2, lastObservedTime: "2026-01-01T00:01:00.000000Z"}
deprecatedCount: 3
deprecatedSource: {component: c, host: h}
deprecatedFirstTimestamp: "2026-01-01T00:00:00Z"
deprecatedLastTimestamp: "2026-01-01T00:02:00Z"
`

func TestValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleEvent, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("no time", "eventTime: \"2026-01-01T00:00:00.000000Z\"\n", "", "eventTime: Required value"),
		c("controller", "reportingController: r\n", "", "reportingController: Required value"),
		c("instance", "reportingInstance: i\n", "", "reportingInstance: Required value"),
		c("long instance", "reportingInstance: i", "reportingInstance: "+strings.Repeat("i", 129), "can have at most 128 characters"),
		c("longest instance", "reportingInstance: i", "reportingInstance: "+strings.Repeat("i", 128), ""),
		c("action", "action: act\n", "", "action: Required value"),
		c("reason", "reason: why\n", "", "reason: Required value"),
		c("note", "note: text", "note: "+strings.Repeat("x", 1025), "can have at most 1024 bytes"),
		c("longest note", "note: text", "note: "+strings.Repeat("x", 1024), ""),
		c("type", "type: Normal", "type: Odd", "type: Unsupported value"),
		c("of another namespace", "name: p, namespace: a", "name: p, namespace: b", "regarding.namespace: Invalid value"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		c("series", "count: 2", "count: 3", ""),
		c("controller", "reportingController: r", "reportingController: s", "reportingController: Invalid value"),
		c("instance", "reportingInstance: i", "reportingInstance: j", "reportingInstance: Invalid value"),
		c("action", "action: act", "action: rest", "action: Invalid value"),
		c("reason", "reason: why", "reason: how", "reason: Invalid value"),
		c("note", "note: text", "note: other", "note: Invalid value"),
		c("type", "type: Normal", "type: Warning", "type: Invalid value"),
		c("regarding", "name: p,", "name: q,", "regarding: Invalid value"),
		c("related", "name: n}", "name: m}", "related: Invalid value"),
	})
}

// Both forms hold all that the other does.
func TestConversion(t *testing.T) {
	_, obj := kindtest.Row(t, Kinds(), sampleEvent)
	in := obj.(*eventsv1.Event)
	var stored corev1.Event
	var back eventsv1.Event
	if err := toCore(in, &stored); err != nil {
		t.Fatal(err)
	}
	if err := fromCore(&stored, &back); err != nil {
		t.Fatal(err)
	}
	back.TypeMeta = in.TypeMeta
	if !equality.Semantic.DeepEqual(in, &back) || stored.Message != "text" || stored.InvolvedObject.Name != "p" || stored.Series.Count != 2 {
		t.Errorf("\n%+v\n%+v", stored, back)
	}
}
