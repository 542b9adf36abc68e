//! Lets one source serve blocking and async callers.
//!
//! The source is written as `async fn … .await`, and included as a module twice. Where it is to block, [`macro@blocking`]
//! takes every `async` and `.await` away before the compiler sees them, so that nothing is left of either: no future, no
//! state machine. Where it is to be async, [`macro@asynchronous`] leaves it as it is. Both are imported under one name:
//!
//! ```
//! #[path = "."]
//! mod blocking {
//!     use whittle_both::blocking as both;
//!     # /*
//!     mod journal; // #[both] impl Journal { pub async fn append(…) { self.flash.write(…).await } }
//!     # */
//! }
//!
//! #[path = "."]
//! mod asynchronous {
//!     use whittle_both::asynchronous as both;
//!     # /*
//!     mod journal; // the same file; it begins with `use super::both`
//!     # */
//! }
//! ```

use proc_macro::{Group, TokenStream, TokenTree};

/// Takes `async` and `.await` away from an item, however deep they are.
#[proc_macro_attribute]
pub fn blocking(_: TokenStream, item: TokenStream) -> TokenStream {
    strip(item)
}

/// Leaves an item as it is.
#[proc_macro_attribute]
pub fn asynchronous(_: TokenStream, item: TokenStream) -> TokenStream {
    item
}

fn strip(tokens: TokenStream) -> TokenStream {
    let mut kept = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(word) if word.to_string() == "async" => {}
            // Nothing but the dot of `.await` can stand in front of this keyword.
            TokenTree::Ident(word) if word.to_string() == "await" => {
                kept.pop();
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), strip(group.stream()));
                inner.set_span(group.span());
                kept.push(inner.into());
            }
            token => kept.push(token),
        }
    }
    kept.into_iter().collect()
}
