mod object;
pub use object::*;
