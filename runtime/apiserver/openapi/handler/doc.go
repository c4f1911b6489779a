// Package handler serves the OpenAPI documents, v2 and v3, of the built-in API. A
// document is made when it is first asked for, and kept compressed: made at the
// start, they would be half of the API server's memory and a third of the time
// until it is ready, and most of them are never read. It imports nothing of ours.
package handler
