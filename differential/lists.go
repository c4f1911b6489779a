package main

import (
	"context"
	"net/http"
	"net/url"

	"github.com/gantry-run/gantry/differential/compare"
	"github.com/gantry-run/gantry/differential/corpus"
)

// lister reads collections.
type lister struct{ *sequence }

// lists makes a few objects and lists them in many ways.
func (c lister) lists(ctx context.Context) {
	if c.gvk.Kind == "IPAddress" || !c.can("list") {
		creator(c).creates(ctx)
		return
	}
	id := c.id
	made := [][2]corpus.Object{}
	for i := range 3 {
		c.id = id + "x" + itoa(i)
		if !c.make(ctx) {
			return
		}
		label := corpus.Object{"metadata": corpus.Object{"labels": corpus.Object{"sequence": id, "number": itoa(i)}}}
		answers, ok := c.same(ctx, "merge patch", "label", request{method: http.MethodPatch, path: c.at(), contentType: typeMerge, body: label})
		if !ok || !c.keep(answers) {
			return
		}
		made = append(made, c.now)
	}
	c.id = id
	mine := "sequence=" + id
	for range 6 {
		q := url.Values{"labelSelector": {mine}}
		how := c.selectors(q)
		accept := c.one("", "", typeTable, typePartials)
		operation := "list"
		if accept == typeTable {
			operation = "table of a list"
		}
		c.same(ctx, operation, how, request{method: http.MethodGet, path: c.path(c.namespace), query: q, accept: accept})
	}
	c.pages(ctx, mine, made)
	if c.can("deletecollection") {
		q := url.Values{"labelSelector": {mine}}
		c.same(ctx, "delete collection", "dry run", request{method: http.MethodDelete, path: c.path(c.namespace), query: q, body: corpus.Object{"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": []any{"All"}}})
		c.same(ctx, "delete collection", "", request{method: http.MethodDelete, path: c.path(c.namespace), query: q})
		c.same(ctx, "list", "after the delete", request{method: http.MethodGet, path: c.path(c.namespace), query: q})
		return
	}
	for _, o := range made {
		c.now = o
		c.remove(ctx)
	}
}

// selectors draws more of them, well formed and not.
func (c lister) selectors(q url.Values) (how string) {
	mine := q.Get("labelSelector")
	switch how = c.one("all", "labels", "bad labels", "fields", "name", "versions"); how {
	case "labels":
		q.Set("labelSelector", mine+","+c.one("number=1", "number in (0,2)", "number notin (0)", "!number", "number", "number!=1", "none", "number>1"))
	case "bad labels":
		q.Set("labelSelector", mine+","+c.one("a b", "=1", "a in ()", "a in (", "-a=1", "a=b=c", "number>x"))
	case "fields":
		q.Set("fieldSelector", c.field())
	case "name":
		q.Set("fieldSelector", "metadata.name="+c.name()+c.one("", ",metadata.namespace="+c.namespace))
	case "versions":
		switch c.rand.IntN(4) {
		case 0:
			q.Set("resourceVersionMatch", c.one("Exact", "NotOlderThan", "Sideways"))
		case 1:
			q.Set("resourceVersion", c.one("x", "-1", "0"))
			q.Set("resourceVersionMatch", "Exact")
		case 2:
			q.Set("resourceVersion", "99999999999")
			q.Set("timeoutSeconds", "1")
			q.Set("resourceVersionMatch", "Exact")
		case 3:
			q.Set("limit", c.one("-1", "x", "0"))
		}
	}
	return how + " " + q.Get("fieldSelector")
}

// field selectors of all kinds: most kinds refuse most of them.
func (c *sequence) field() string {
	return c.one("spec.nodeName=n1", "status.phase=Pending", "status.phase!=Running", "spec.unschedulable=true", "type=Opaque", "reason=Started", "involvedObject.kind=Pod",
		"spec.restartPolicy=Always", "spec.schedulerName=default-scheduler", "spec.serviceAccountName=builder", "status.podIP=", "status.nominatedNodeName=", "spec.hostNetwork=false",
		"spec.clusterIP=None", "spec.type=ClusterIP", "spec.signerName=example.org/signer", "status.successful=0", "status.replicas=0", "metadata.uid=1", "metadata.namespace=elsewhere",
		"regarding.kind=Pod", "reportingController=kubelet", "spec.nodeName", "a==b==c", "spec.driver=gpu.example.org", "spec.attacher=a", "involvedObject.name=p,reason!=Started", "source=kubelet")
}

// pages reads the list in parts.
func (c lister) pages(ctx context.Context, selector string, made [][2]corpus.Object) {
	query := func(side int, more url.Values) url.Values {
		q := url.Values{"labelSelector": {selector}, "limit": {"2"}}
		for k, v := range more {
			q[k] = v
		}
		return q
	}
	get := func(how string, more func(side int) url.Values) ([2]compare.Answer, bool) {
		return c.send(ctx, "list in pages", how, func(side int) request {
			return request{method: http.MethodGet, path: c.path(c.namespace), query: query(side, more(side))}
		})
	}
	first, ok := get("first", func(int) url.Values { return nil })
	if !ok {
		return
	}
	next := func(side int) string { return str(field(first[side].Body, "metadata", "continue")) }
	get("second", func(side int) url.Values { return url.Values{"continue": {next(side)}} })
	get("second with a version", func(side int) url.Values {
		return url.Values{"continue": {next(side)}, "resourceVersion": {str(field(first[side].Body, "metadata", "resourceVersion"))}}
	})
	get("bad token", func(int) url.Values { return url.Values{"continue": {c.id}} })
	get("exact", func(side int) url.Values {
		return url.Values{"resourceVersionMatch": {"Exact"}, "resourceVersion": {str(field(made[1][side], "metadata", "resourceVersion"))}}
	})
	get("not older", func(side int) url.Values {
		return url.Values{"resourceVersionMatch": {"NotOlderThan"}, "resourceVersion": {str(field(made[2][side], "metadata", "resourceVersion"))}}
	})
}

// selected lists by a field that the kind may not have.
func (c life) selected(ctx context.Context) {
	if !c.can("list") {
		return
	}
	f := c.field()
	c.same(ctx, "list", f, request{method: http.MethodGet, path: c.path(c.namespace), query: url.Values{"labelSelector": {"sequence=" + c.id}, "fieldSelector": {f}}})
}
