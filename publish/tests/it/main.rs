//! Publishing to directories and to a server that speaks S3, and fetching from there and from web servers.

mod caching;
mod collecting;
mod documents;
mod faults;
mod laws;
mod place;
mod resuming;
mod server;
mod support;
mod way;
mod web;
