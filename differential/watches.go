package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gantry-run/gantry/differential/compare"
	"github.com/gantry-run/gantry/differential/corpus"
)

// watchTime is how long a watch is read that the deletion does not end (kinds that keep
// finalizers).
const watchTime = 1500 * time.Millisecond

// events are those of a watch until stop says so or its time is over; bookmarks that come by
// the clock are left out.
func (s *server) events(ctx context.Context, r request, opened func(), stop func(event any) bool) compare.Answer {
	ctx, cancel := context.WithTimeout(ctx, watchTime+requestTime)
	defer cancel()
	resp, err := s.open(ctx, r)
	opened()
	if err != nil {
		return compare.Answer{Body: err.Error()}
	}
	defer resp.Body.Close()
	over := time.AfterFunc(watchTime, cancel)
	defer over.Stop()
	a := compare.Answer{Code: resp.StatusCode, Warnings: resp.Header.Values("Warning")}
	events := []any{}
	for d := json.NewDecoder(resp.Body); ; {
		var e any
		if d.Decode(&e) != nil {
			break
		}
		if str(field(e, "type")) == "BOOKMARK" && field(e, "object", "metadata", "annotations") == nil {
			continue
		}
		events = append(events, e)
		if stop(e) {
			break
		}
	}
	a.Body = corpus.Object{"events": events}
	return a
}

// watcher sees what becomes of objects.
type watcher struct{ *sequence }

// watches opens a watch, lets an object live, and compares what was seen of it.
func (c watcher) watches(ctx context.Context) {
	if !c.can("watch") {
		creator(c).creates(ctx)
		return
	}
	if c.chance(30) {
		c.initial(ctx)
		return
	}
	query := url.Values{"watch": {"true"}, "allowWatchBookmarks": {"true"}, "labelSelector": {"sequence=" + c.id}}
	accept := c.one("", "", typeTable, typePartial)
	how := accept
	if c.chance(10) {
		query.Set("fieldSelector", c.field())
		how += " " + query.Get("fieldSelector")
	}
	begin, ok := c.same(ctx, "list", "before a watch", request{method: http.MethodGet, path: c.path(c.namespace), query: url.Values{"labelSelector": {"sequence=" + c.id}}})
	if !ok {
		return
	}
	results := c.observe(ctx, accept, query, func(side int) string { return str(field(begin[side].Body, "metadata", "resourceVersion")) }, func() {
		if c.make(ctx) {
			life(c).touch(ctx)
			life(c).touch(ctx)
			c.remove(ctx)
		}
	}, func(e any) bool { return str(field(e, "type")) == "DELETED" || str(field(e, "type")) == "ERROR" })
	c.noteWatch("watch", how, query, results)
}

// initial watches from the beginning: first what there is, then a bookmark that says so.
func (c watcher) initial(ctx context.Context) {
	if !c.make(ctx) {
		return
	}
	query := url.Values{"watch": {"true"}, "allowWatchBookmarks": {"true"}, "labelSelector": {"sequence=" + c.id}, "sendInitialEvents": {"true"}, "resourceVersionMatch": {"NotOlderThan"}}
	how := c.one("initial", "initial", "initial", "without a match", "exact", "without bookmarks", "old version")
	switch how {
	case "without a match":
		query.Del("resourceVersionMatch")
	case "exact":
		query.Set("resourceVersionMatch", "Exact")
	case "without bookmarks":
		query.Del("allowWatchBookmarks")
	case "old version":
		query.Set("resourceVersion", "x")
	}
	results := c.observe(ctx, "", query, func(int) string { return query.Get("resourceVersion") }, func() {}, func(e any) bool {
		return str(field(e, "type")) == "BOOKMARK" || how == "without bookmarks" && str(field(e, "type")) == "ADDED"
	})
	c.noteWatch("watch from the beginning", how, query, results)
	c.remove(ctx)
}

// observe watches on both servers while act acts.
func (c watcher) observe(ctx context.Context, accept string, query url.Values, version func(side int) string, act func(), stop func(any) bool) [2]compare.Answer {
	var out [2]compare.Answer
	var open, done sync.WaitGroup
	open.Add(2)
	for side, s := range c.servers {
		q := url.Values{}
		for k, v := range query {
			q[k] = v
		}
		if v := version(side); v != "" {
			q.Set("resourceVersion", v)
		}
		done.Go(func() {
			out[side] = s.events(ctx, request{method: http.MethodGet, path: c.path(c.namespace), query: q, accept: accept}, open.Done, stop)
		})
	}
	open.Wait()
	act()
	done.Wait()
	return out
}

func (c watcher) noteWatch(operation, how string, query url.Values, results [2]compare.Answer) {
	c.sent.Add(1)
	q := request{method: http.MethodGet, path: c.path(c.namespace), query: query}
	c.tally.note(c.target.String(), operation, compare.Answers(results[0], results[1]), exchange{How: strings.TrimSpace(how), Request: [2]request{q, q}, Upstream: results[0], Ours: results[1]})
}
