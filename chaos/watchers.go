package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/chaos/judge"
)

// watcher watches through one master after the other: each stream goes on where the
// one before ended, at the next master.
type watcher struct {
	masters        []*master
	path, selector string
	// listed and started tell where a list was and where a stream goes on; event is
	// one of a stream, or an item of a list (then with no type).
	listed, started func(revision int64)
	event           func(kind string, object json.RawMessage) (revision int64, err error)
}

func (w *watcher) run(ctx context.Context) {
	revision := int64(0)
	for n := 0; ctx.Err() == nil; n++ {
		m := w.masters[n%len(w.masters)]
		if revision == 0 {
			revision = w.list(ctx, m)
		}
		if revision != 0 {
			revision = w.stream(ctx, m, revision)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (w *watcher) list(ctx context.Context, m *master) int64 {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var list struct {
		Metadata metadata
		Items    []json.RawMessage
	}
	if m.get(ctx, w.path+"?"+url.Values{"labelSelector": {w.selector}}.Encode(), &list) != nil {
		return 0
	}
	w.listed(list.Metadata.revision())
	for _, i := range list.Items {
		w.event("", i) //nolint:errcheck // of a list, what cannot be read is not judged
	}
	return list.Metadata.revision()
}

// stream watches until the stream ends, and returns the last revision: 0 if what
// comes after it is gone.
func (w *watcher) stream(ctx context.Context, m *master, revision int64) int64 {
	query := url.Values{"watch": {"1"}, "labelSelector": {w.selector}, "resourceVersion": {strconv.FormatInt(revision, 10)},
		"allowWatchBookmarks": {"true"}, "timeoutSeconds": {"45"}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Whoever is not answered goes to the next master.
	opening := time.AfterFunc(3*time.Second, cancel)
	body, err := m.open(ctx, http.MethodGet, w.path+"?"+query.Encode(), "", nil)
	opening.Stop()
	if code(err) == http.StatusGone {
		return 0
	}
	if err != nil {
		return revision
	}
	defer body.Close()
	w.started(revision)
	for events := json.NewDecoder(body); ; {
		var e struct {
			Type   string
			Object json.RawMessage
		}
		if events.Decode(&e) != nil {
			return revision
		}
		if e.Type == "ERROR" {
			var s metav1.Status
			if json.Unmarshal(e.Object, &s) == nil && s.Code == http.StatusGone {
				return 0
			}
			return revision
		}
		if revision, err = w.event(e.Type, e.Object); err != nil {
			return 0
		}
	}
}

// registers records what a watcher sees of the registers.
func registers(name string, masters []*master, r *recorder) *watcher {
	add := func(kind string, revision int64, key, value string) {
		r.add(judge.Line{Seen: &judge.Seen{At: r.now(), Watcher: name, Type: kind, Key: key, Value: value, Revision: revision}})
	}
	return &watcher{
		masters: masters, path: configMaps, selector: "chaos=register",
		listed:  func(revision int64) { add(judge.Listed, revision, "", "") },
		started: func(revision int64) { add(judge.Started, revision, "", "") },
		event: func(kind string, object json.RawMessage) (int64, error) {
			var m configMap
			if err := json.Unmarshal(object, &m); err != nil || kind == "" {
				return 0, err
			}
			types := map[string]string{"ADDED": judge.Event, "MODIFIED": judge.Event, "DELETED": judge.Deleted, "BOOKMARK": judge.Bookmark}
			add(types[kind], m.Metadata.revision(), m.Metadata.Name, m.Data["v"])
			return m.Metadata.revision(), nil
		},
	}
}

// objects records what becomes of objects of one type.
func objects[T any](path, selector string, masters []*master, record func(kind string, revision int64, object *T)) *watcher {
	return &watcher{
		masters: masters, path: path, selector: selector, listed: func(int64) {}, started: func(int64) {},
		event: func(kind string, object json.RawMessage) (int64, error) {
			var m struct{ Metadata metadata }
			if err := json.Unmarshal(object, &m); err != nil {
				return 0, err
			}
			var o T
			if err := json.Unmarshal(object, &o); err != nil {
				return 0, fmt.Errorf("read an object of %s: %w", path, err)
			}
			if kind != "BOOKMARK" {
				record(kind, m.Metadata.revision(), &o)
			}
			return m.Metadata.revision(), nil
		},
	}
}

func pods(masters []*master, r *recorder) *watcher {
	return objects("/api/v1/namespaces/"+namespace+"/pods", "", masters, func(kind string, revision int64, p *corev1.Pod) {
		out := judge.Pod{
			At: r.now(), Revision: revision, UID: string(p.UID), Name: p.Name, Index: p.Labels["batch.kubernetes.io/job-completion-index"], Node: p.Spec.NodeName,
			Phase: string(p.Status.Phase), Deleting: p.DeletionTimestamp != nil, Gone: kind == "DELETED", Tolerates: tolerates(p),
		}
		if o := metav1.GetControllerOf(p); o != nil {
			out.Owner = o.Kind + "/" + o.Name + "/" + string(o.UID)
		}
		for _, c := range p.Status.Conditions {
			if c.Status == corev1.ConditionTrue && c.Type == corev1.PodReady {
				out.Ready = true
			}
			if c.Status == corev1.ConditionTrue && c.Type == corev1.DisruptionTarget {
				out.Disruption = c.Reason
			}
		}
		r.add(judge.Line{Pod: &out})
	})
}

// tolerates is how long a pod stays on a node that is not reached or not ready.
func tolerates(p *corev1.Pod) time.Duration {
	least := time.Duration(-1)
	for _, t := range p.Spec.Tolerations {
		if t.Effect == corev1.TaintEffectNoExecute && t.TolerationSeconds != nil && (t.Key == corev1.TaintNodeUnreachable || t.Key == corev1.TaintNodeNotReady) {
			if d := time.Duration(*t.TolerationSeconds) * time.Second; least < 0 || d < least {
				least = d
			}
		}
	}
	return least
}

func nodes(masters []*master, r *recorder) *watcher {
	return objects("/api/v1/nodes", "", masters, func(_ string, _ int64, n *corev1.Node) {
		r.add(judge.Line{Node: &judge.Node{At: r.now(), Name: n.Name, Ready: isReady(n)}})
	})
}

func isReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func leases(masters []*master, r *recorder) *watcher {
	return objects("/apis/coordination.k8s.io/v1/leases", "", masters, func(kind string, _ int64, l *coordinationv1.Lease) {
		out := judge.Lease{At: r.now(), Namespace: l.Namespace, Name: l.Name}
		if l.Spec.HolderIdentity != nil {
			out.Holder = *l.Spec.HolderIdentity
		}
		if l.Spec.RenewTime != nil {
			out.Renewed = r.at(l.Spec.RenewTime.Time)
		}
		if l.Spec.AcquireTime != nil {
			out.Acquired = r.at(l.Spec.AcquireTime.Time)
		}
		if l.Spec.LeaseDurationSeconds != nil {
			out.Lasts = time.Duration(*l.Spec.LeaseDurationSeconds) * time.Second
		}
		if kind != "DELETED" {
			r.add(judge.Line{Lease: &out})
		}
	})
}
