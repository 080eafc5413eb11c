//! Values of JSON to Lua and back, as Kruise's Go code takes them (`pkg/util/luamanager/json.go`), and where that loses
//! something, an error instead.

use mlua::{Lua, Table, Value as LuaValue};
use serde_json::{Map, Number, Value};

/// How deep values may be nested. A table that holds itself comes here, too.
const DEEPEST: usize = 100;
/// Values in one result.
const MOST: usize = 200_000;
/// Bytes of texts in one result.
const LONGEST: usize = 4 << 20;
/// Every number of Lua is a float; whole numbers up to this are themselves.
const LARGEST_EXACT: u64 = 1 << 53;

/// Which tables were lists and which were mappings. It keeps them alive, so that no other table can take the place of one.
pub(super) struct Marks(Table);

impl Marks {
    pub(super) fn new(lua: &Lua) -> mlua::Result<Self> {
        lua.create_table().map(Self)
    }

    /// A value for scripts. `null` is no value: fields that have it are not there, and lists close over it, as in Kruise.
    ///
    /// # Errors
    /// `Some`: what cannot be a value of Lua. `None`: there is no memory left.
    pub(super) fn to_lua(&self, lua: &Lua, value: &Value, at: &str) -> Result<LuaValue, Option<String>> {
        self.at_depth(lua, value, at, 0)
    }

    fn at_depth(&self, lua: &Lua, value: &Value, at: &str, depth: usize) -> Result<LuaValue, Option<String>> {
        if depth > DEEPEST {
            let start: String = at.chars().take(40).collect();
            return Err(Some(format!("{start}… is nested deeper than {DEEPEST}")));
        }
        Ok(match value {
            Value::Null => LuaValue::Nil,
            Value::Bool(value) => LuaValue::Boolean(*value),
            Value::Number(number) => LuaValue::Number(self::number(number, at)?),
            Value::String(text) => LuaValue::String(lua.create_string(text).map_err(|_| None)?),
            Value::Array(list) => {
                let table = lua.create_table().map_err(|_| None)?;
                let values = list.iter().enumerate().filter(|(_, value)| !value.is_null());
                for ((index, value), place) in values.zip(1_usize..) {
                    let value = self.at_depth(lua, value, &format!("{at}[{index}]"), depth + 1)?;
                    table.raw_set(place, value).map_err(|_| None)?;
                }
                self.0.raw_set(&table, true).map_err(|_| None)?;
                LuaValue::Table(table)
            }
            Value::Object(map) => {
                let table = lua.create_table().map_err(|_| None)?;
                for (key, value) in map {
                    let value = self.at_depth(lua, value, &format!("{at}.{key}"), depth + 1)?;
                    table.raw_set(key.as_str(), value).map_err(|_| None)?;
                }
                self.0.raw_set(&table, false).map_err(|_| None)?;
                LuaValue::Table(table)
            }
        })
    }
}

fn number(number: &Number, at: &str) -> Result<f64, Option<String>> {
    let whole = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    if whole.is_some_and(|whole| whole > LARGEST_EXACT) {
        return Err(Some(format!("{at} is {number}, and Lua knows whole numbers up to {LARGEST_EXACT} only")));
    }
    number.as_f64().ok_or_else(|| Some(format!("{at} is {number}, which is no number for Lua")))
}

/// Reads one result.
pub(super) struct Reader<'a> {
    marks: &'a Marks,
    values: usize,
    bytes: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(marks: &'a Marks) -> Self {
        Self { marks, values: 0, bytes: 0 }
    }

    /// A value of JSON; `None` for an empty table of the script's own, of which nobody can say what it is.
    ///
    /// # Errors
    /// What JSON, or Kruise, does not take, with its place.
    pub(super) fn read(&mut self, value: &LuaValue, at: &str) -> Result<Option<Value>, String> {
        self.at_depth(value, at, 0)
    }

    fn at_depth(&mut self, value: &LuaValue, at: &str, depth: usize) -> Result<Option<Value>, String> {
        self.values += 1;
        if depth > DEEPEST {
            let start: String = at.chars().take(40).collect();
            return Err(format!("{start}… is nested deeper than {DEEPEST}, or holds itself"));
        }
        if self.values > MOST {
            return Err(format!("the result has more than {MOST} values"));
        }
        match value {
            LuaValue::Nil => Ok(Some(Value::Null)),
            LuaValue::Boolean(value) => Ok(Some(Value::Bool(*value))),
            LuaValue::Integer(value) => Ok(Some(Value::from(*value))),
            LuaValue::Number(value) => float(*value, at).map(Some),
            LuaValue::String(text) => self.text(text, at).map(|text| Some(Value::String(text))),
            LuaValue::Table(table) => self.table(table, at, depth),
            other => Err(format!("{at} is a {}, which is no value of JSON", other.type_name())),
        }
    }

    fn text(&mut self, text: &mlua::LuaString, at: &str) -> Result<String, String> {
        let text = text.to_str().map_err(|_| format!("{at} is a text that is not UTF-8"))?;
        self.bytes += text.len();
        if self.bytes > LONGEST {
            return Err(format!("the result has more than {} MiB of text", LONGEST >> 20));
        }
        Ok(text.to_owned())
    }

    fn table(&mut self, table: &Table, at: &str, depth: usize) -> Result<Option<Value>, String> {
        let mut list: Vec<(usize, LuaValue)> = Vec::new();
        let mut map: Vec<(mlua::LuaString, LuaValue)> = Vec::new();
        // `pairs` of mlua is raw: no metamethod of the script runs here.
        for pair in table.pairs::<LuaValue, LuaValue>() {
            let (key, value) = pair.map_err(|_| format!("{at} cannot be read"))?;
            if list.len() + map.len() > MOST {
                return Err(format!("the result has more than {MOST} values"));
            }
            match key {
                LuaValue::String(key) => map.push((key, value)),
                LuaValue::Integer(key) => list.push((usize::try_from(key).unwrap_or(0), value)),
                _ => return Err(format!("{at} has a key that is neither a text nor a whole number")),
            }
        }
        match (list.is_empty(), map.is_empty()) {
            (true, true) => Ok(match self.marks.0.raw_get::<Option<bool>>(table) {
                Ok(Some(true)) => Some(Value::Array(Vec::new())),
                Ok(Some(false)) => Some(Value::Object(Map::new())),
                _ => None,
            }),
            (false, false) => Err(format!("{at} has both numbers and texts as keys")),
            (false, true) => self.list(list, at, depth).map(Some),
            (true, false) => self.map(map, at, depth).map(Some),
        }
    }

    fn list(&mut self, mut list: Vec<(usize, LuaValue)>, at: &str, depth: usize) -> Result<Value, String> {
        list.sort_by_key(|(key, _)| *key);
        let mut values = Vec::new();
        for (index, (key, value)) in list.into_iter().enumerate() {
            if key != index + 1 {
                return Err(format!("{at} is a list with a gap before its entry {key}"));
            }
            let at = format!("{at}[{key}]");
            let value = self.at_depth(&value, &at, depth + 1)?;
            values.push(value.ok_or_else(|| format!("{at} is an empty table, which is neither a list nor a mapping"))?);
        }
        Ok(Value::Array(values))
    }

    fn map(&mut self, map: Vec<(mlua::LuaString, LuaValue)>, at: &str, depth: usize) -> Result<Value, String> {
        let mut values = Map::new();
        for (key, value) in map {
            let key = self.text(&key, &format!("a key of {at}"))?;
            if let Some(value) = self.at_depth(&value, &format!("{at}.{key}"), depth + 1)? {
                values.insert(key, value);
            }
        }
        Ok(Value::Object(values))
    }
}

fn float(value: f64, at: &str) -> Result<Value, String> {
    #[allow(clippy::cast_possible_truncation, reason = "within the range in which every whole float is exact")]
    if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 {
        return Ok(Value::from(value as i64));
    }
    Number::from_f64(value).map(Value::Number).ok_or_else(|| format!("{at} is {value}, which is no value of JSON"))
}
