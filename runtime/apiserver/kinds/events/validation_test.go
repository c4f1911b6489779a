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

const (
	sampleEvent = `
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
`
	old = sampleEvent + `
deprecatedCount: 3
deprecatedSource: {component: c, host: h}
deprecatedFirstTimestamp: "2026-01-01T00:00:00Z"
deprecatedLastTimestamp: "2026-01-01T00:02:00Z"
`
)

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
		c("note", "note: text", "note: "+strings.Repeat("x", 1025), "can have at most 1024 characters"),
		c("longest note", "note: text", "note: "+strings.Repeat("x", 1024), ""),
		c("type", "type: Normal", "type: Odd", "type: Invalid value: \"\": has invalid value: Odd"),
		c("of another namespace", "name: p, namespace: a", "name: p, namespace: b", ""),
		c("of the cluster, in a namespace", ", namespace: a}\nrelated", "}\nrelated", "involvedObject.namespace: Invalid value"),
		c("no name of a controller", "reportingController: r", "reportingController: /", "reportingController: Invalid value"),
		c("long action", "action: act", "action: "+strings.Repeat("a", 129), "action: Invalid value"),
		c("long reason", "reason: why", "reason: "+strings.Repeat("a", 129), "reason: Invalid value"),
		c("once", "count: 2", "count: 1", "should be at least 2"),
		c("never observed", `, lastObservedTime: "2026-01-01T00:01:00.000000Z"`, "", "series.lastObservedTime: Required value"),
		c("count", "type: Normal", "type: Normal\ndeprecatedCount: 1", "count: Invalid value: \"\": needs to be unset"),
		c("source", "type: Normal", "type: Normal\ndeprecatedSource: {host: h}", "source: Invalid value"),
		c("first", "type: Normal", "type: Normal\ndeprecatedFirstTimestamp: '2026-01-01T00:00:00Z'", "firstTimestamp: Invalid value"),
		c("last", "type: Normal", "type: Normal\ndeprecatedLastTimestamp: '2026-01-01T00:00:00Z'", "lastTimestamp: Invalid value"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		c("series", "count: 2", "count: 3", ""),
		c("controller", "reportingController: r", "reportingController: s", "reportingController: Invalid value"),
		c("instance", "reportingInstance: i", "reportingInstance: j", "reportingInstance: Invalid value"),
		c("action", "action: act", "action: rest", "action: Invalid value"),
		c("reason", "reason: why", "reason: how", "reason: Invalid value"),
		c("note", "note: text", "note: other", "message: Invalid value"),
		c("type", "type: Normal", "type: Warning", "type: Invalid value"),
		c("regarding", "name: p,", "name: q,", "involvedObject: Invalid value"),
		kindtest.Change("an old one", old, "", "", ""),
		kindtest.Change("another count", old, "deprecatedCount: 3", "deprecatedCount: 4", "count: Invalid value"),
		kindtest.Change("another source", old, "host: h", "host: i", "source: Invalid value"),
		kindtest.Change("another beginning", old, `FirstTimestamp: "2026-01-01T00:00:00Z"`, `FirstTimestamp: "2026-01-01T00:00:01Z"`, "firstTimestamp: Invalid value"),
		kindtest.Change("another end", old, `LastTimestamp: "2026-01-01T00:02:00Z"`, `LastTimestamp: "2026-01-01T00:02:01Z"`, "lastTimestamp: Invalid value"),
		c("another time", "00:00:00.000000Z", "00:00:00.000001Z", "eventTime: Invalid value"),
		c("a worse series", "count: 2", "count: 0", "should be at least 2"),
		c("related", "name: n}", "name: m}", "related: Invalid value"),
	})
}

// Both forms hold all that the other does.
func TestConversion(t *testing.T) {
	_, obj := kindtest.Row(t, Kinds(), old)
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
